# A third machine proves every week that ops-jrz1 can be brought back. It can log in nowhere, and nobody of the others can log in here.
{ config, pkgs, ... }:
let
  secrets = config.sops.secrets;
in
{
  imports = [ ./module.nix ];

  sops.secrets = {
    "drops/s3-restorer" = { };
    "drops/drill-identity" = { };
    "drops/drill-key" = { };
  };

  users.groups.drill = { };
  users.users.drill = {
    isSystemUser = true;
    group = "drill";
  };

  services.drops.policies.ops-jrz1 = {
    # The backup host's policy. keys.trusted_signers names the key that signs snapshots: its private half is not here.
    policy = ./ops-jrz1.yaml;
    user = "drill";
    path = [ pkgs.postgresql_16 ]; # the server's version or later
    credentials.s3 = secrets."drops/s3-restorer".path;
    jobs = {
      backup.enable = false;
      verify.enable = false;
      drill = {
        enable = true;
        credentials = {
          drill-identity = secrets."drops/drill-identity".path;
          drill-key = secrets."drops/drill-key".path;
        };
      };
    };
  };
}
