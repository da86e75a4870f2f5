# A machine that backs itself up at night and gives a file back. Run: nix build .#checks.x86_64-linux.nightly
{ module }:
{
  name = "drops-nightly";
  nodes.machine =
    { pkgs, ... }:
    {
      imports = [ module ];
      services.postgresql = {
        enable = true;
        ensureDatabases = [ "thing" ];
      };
      systemd.services.thing = {
        wantedBy = [ "multi-user.target" ];
        script = "exec sleep infinity";
      };
      services.drops.policies.small = {
        credentials.signing-key = "/etc/drops/keys/signing-key";
        jobs.prune.enable = true;
        settings = {
          name = "small";
          zone = "Europe/Berlin";
          host = "local";
          store.directory = "/srv/backups";
          keys = {
            recovery_recipients_file = "/etc/drops/keys/recovery-recipients.txt";
            metadata_identity_file = "/etc/drops/keys/metadata-identity.txt";
            signing_key_file = "/run/drops/credentials/signing-key";
          };
          sources = [
            {
              name = "db";
              kind = "postgres";
              database = "thing";
            }
            {
              name = "files";
              kind = "files";
              paths = [ "/var/lib/thing" ];
            }
          ];
          restore.units = [ { unit = "thing.service"; } ];
        };
      };
    };
  testScript = ''
    machine.wait_for_unit("postgresql.service")
    machine.wait_for_unit("thing.service")
    machine.succeed("mkdir -p /var/lib/thing /srv/backups /etc/drops && echo kept > /var/lib/thing/one")
    machine.succeed("drops keygen --to /etc/drops/keys")
    machine.succeed("mkdir -p /run/drops/credentials && cp -p /etc/drops/keys/signing-key /run/drops/credentials/")
    policy = machine.succeed(
        "systemctl cat drops-backup-small.service | grep -o '/nix/store/[^\" ]*checked.json' | head -n 1"
    ).strip()
    machine.succeed(f"drops --policy {policy} init")
    machine.succeed("rm -r /run/drops/credentials")

    for timer in ["backup", "verify", "status", "prune"]:
        machine.succeed(f"systemctl is-active drops-{timer}-small.timer")
    for job in ["backup", "verify", "prune"]:
        machine.succeed(f"systemctl start drops-{job}-small.service")
    machine.succeed(
        f"drops restore --date latest --to /root/restored --store /srv/backups"
        " --identity /etc/drops/keys/recovery-identity.txt --trusted-signer /etc/drops/keys/signing-key.pub"
    )
    machine.succeed("grep -rx kept /root/restored")

    with subtest("the gate holds the service and the backup back"):
        machine.succeed("mkdir -p /var/lib/drops && touch /var/lib/drops/restore-in-progress")
        machine.succeed("systemctl restart thing.service")
        machine.fail("systemctl is-active thing.service")
        machine.succeed("rm /var/lib/drops/restore-in-progress && systemctl start thing.service")

    with subtest("a failure is told"):
        machine.succeed("mv /srv/backups /srv/gone")
        machine.fail("systemctl start drops-verify-small.service")
        machine.wait_until_succeeds("journalctl -u 'drops-failed@*' | grep 'drops-verify-small.service failed'")
  '';
}
