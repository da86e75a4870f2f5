# Another machine pulls ops-jrz1 over SSH every night, and prunes with a key of its own. On ops-jrz1 itself only the gate
# is needed: see `gateOnly` below.
{ config, ... }:
let
  secrets = config.sops.secrets;
in
{
  imports = [ ./module.nix ];

  sops.secrets = {
    "drops/ssh" = { };
    "drops/s3-writer" = { };
    "drops/s3-pruner" = { };
    "drops/metadata-identity" = { };
    "drops/signing-key" = { };
  };

  users.groups.drops = { };
  users.users.drops = {
    isSystemUser = true;
    group = "drops";
  };

  services.drops.policies.ops-jrz1 = {
    # policies/ops-jrz1.yaml with its files at /run/drops/credentials: ssh, s3, metadata-identity, signing-key.
    policy = ./ops-jrz1.yaml;
    user = "drops";
    credentials = {
      ssh = secrets."drops/ssh".path;
      s3 = secrets."drops/s3-writer".path;
      metadata-identity = secrets."drops/metadata-identity".path;
      signing-key = secrets."drops/signing-key".path;
    };
    jobs.prune = {
      enable = true;
      credentials.s3 = secrets."drops/s3-pruner".path;
    };
  };

  # On ops-jrz1, in its own configuration (no drops needed there):
  #   systemd.services = lib.genAttrs [ "matrix-continuwuity" "mautrix-slack" "forgejo" "nginx" ] (_: {
  #     unitConfig.ConditionPathExists = "!/var/lib/drops/restore-in-progress";
  #   });
}
