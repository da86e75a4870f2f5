# ops-jrz1 backs itself up. policies/ops-jrz1.yaml with `host: local`, and the secrets where the units find them.
# The writer's key may put and list; pruning is the business of another machine, which holds the key that may delete.
{ config, ... }:
let
  secrets = config.sops.secrets;
in
{
  imports = [ ./module.nix ];

  # sops-nix: secrets/drops.yaml holds these, encrypted to an admin's key as well as to the host's.
  sops.secrets = {
    "drops/s3-writer" = { };
    "drops/metadata-identity" = { };
    "drops/signing-key" = { };
  };

  services.drops.policies.ops-jrz1 = {
    credentials = {
      s3 = secrets."drops/s3-writer".path;
      metadata-identity = secrets."drops/metadata-identity".path;
      signing-key = secrets."drops/signing-key".path;
    };
    settings = {
      name = "ops-jrz1";
      zone = "America/Los_Angeles";
      host = "local";
      store.s3 = {
        bucket = "ops-jrz1-backup";
        prefix = "drops";
        endpoint = "https://s3.example.org";
        region = "us-east-1";
        credentials_file = "/run/drops/credentials/s3";
      };
      keys = {
        # Public; `drops keygen --recovery` prints it. The identity lies in a safe.
        recovery_recipients_file = "/etc/drops/recovery-recipients.txt";
        metadata_identity_file = "/run/drops/credentials/metadata-identity";
        signing_key_file = "/run/drops/credentials/signing-key";
      };
      rpo = "26h";
      keep = {
        daily = 7;
        weekly = 4;
        monthly = 12;
      };
      sources = [
        {
          name = "bridge-db";
          kind = "postgres";
          database = "mautrix_slack";
        }
        {
          name = "forgejo-db";
          kind = "postgres";
          database = "forgejo";
        }
        {
          name = "homeserver-db";
          kind = "rocksdb";
          path = "/var/lib/matrix-continuwuity/db";
        }
        {
          name = "media";
          kind = "files";
          paths = [ "/var/lib/matrix-continuwuity/db/media" ];
        }
        {
          name = "registrations";
          kind = "files";
          paths = [ "/var/lib/matrix-appservices" ];
        }
        {
          name = "bridge-state";
          kind = "files";
          paths = [ "/var/lib/mautrix-slack" ];
        }
        {
          name = "host-keys";
          kind = "files";
          paths = [
            "/etc/ssh/ssh_host_ed25519_key"
            "/etc/ssh/ssh_host_ed25519_key.pub"
          ];
        }
        {
          name = "forgejo";
          kind = "files";
          paths = [ "/var/lib/forgejo" ];
        }
        {
          name = "acme";
          kind = "files";
          paths = [ "/var/lib/acme" ];
        }
      ];
      restore = {
        bootstrap = [ "host-keys" ];
        # These get the gate as a condition: a new machine does not start them empty.
        units = [
          {
            unit = "matrix-continuwuity.service";
            ready = {
              http = "http://127.0.0.1:8008/_matrix/client/versions";
              within = "10m";
            };
          }
          { unit = "mautrix-slack.service"; }
          {
            unit = "forgejo.service";
            ready = {
              http = "http://127.0.0.1:3000/api/healthz";
              within = "3m";
            };
          }
          { unit = "nginx.service"; }
        ];
      };
    };
  };
}
