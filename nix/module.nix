# services.drops: nightly, unattended. See docs/nightly.md.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.drops;
  units = import ./units.nix { inherit lib; };

  job =
    name:
    types.submodule {
      options = {
        enable = mkOption {
          type = types.bool;
          # An S3 writer's key cannot delete or lock what is there, and must not. A drill opens backups: its place is a third machine.
          default = name != "prune" && name != "keeper" && name != "drill";
          description = "Whether ${name} runs by a timer.";
        };
        calendar = mkOption {
          type = types.nullOr types.str;
          default = null;
          description = "When, as systemd.time(7) has it; default: ${units.table.jobs.${name}.calendar}.";
        };
        delay = mkOption {
          type = types.nullOr types.str;
          default = null;
          description = "At most so much later, at random; default: ${units.table.jobs.${name}.delay}.";
        };
        credentials = mkOption {
          type = types.attrsOf types.str;
          default = { };
          description = "Credentials of this job alone, over those of the policy.";
        };
      };
    };

  policy = types.submodule (
    { name, config, ... }:
    {
      options = {
        policy = mkOption {
          type = types.nullOr types.path;
          default = null;
          description = "The policy file. Its `name` is this attribute's name.";
        };
        settings = mkOption {
          type = types.nullOr (types.attrsOf types.anything);
          default = null;
          description = "The policy as a Nix value, instead of a file. Checked against drops' own schema when it is built.";
        };
        local = mkOption {
          type = types.bool;
          default = config.settings != null && (config.settings.host or null) == "local";
          description = "Whether this machine is the one that is backed up; must be said when `policy` is a file.";
        };
        storeDirectory = mkOption {
          type = types.nullOr types.str;
          default = if config.settings == null then null else config.settings.store.directory or null;
          description = "The store, when it is a directory; must be said when `policy` is a file.";
        };
        package = mkOption {
          type = types.package;
          default = cfg.package;
          description = "The drops that runs it.";
        };
        user = mkOption {
          type = types.nullOr types.str;
          default = null;
          description = "Who runs the jobs that need no rights on this machine; default: root without any capability.";
        };
        path = mkOption {
          type = types.listOf types.package;
          default = [ ];
          description = "Programs that sources call, beside PostgreSQL's own and the usual ones.";
        };
        credentials = mkOption {
          type = types.attrsOf types.str;
          default = { };
          example = lib.literalExpression ''{ signing-key = config.sops.secrets."drops/signing-key".path; }'';
          description = "Files that every job of this policy finds at ${units.credentialsAt}/NAME, through LoadCredential=.";
        };
        jobs = builtins.mapAttrs (
          job': _:
          mkOption {
            type = job job';
            default = { };
            description = "The job ${job'}.";
          }
        ) units.table.jobs;
        gate = mkOption {
          type = types.str;
          default = if config.settings == null then defaultGate else config.settings.restore.gate or defaultGate;
          description = "While this file is there, none of `units` starts and nothing of this machine is backed up.";
        };
        units = mkOption {
          type = types.listOf types.str;
          default =
            if config.settings == null || !config.local then
              [ ]
            else
              map (each: each.unit) (config.settings.restore.units or [ ]);
          example = [ "forgejo.service" ];
          description = "Services of this machine that a restore holds back: they get the gate as a condition.";
        };
        onFailure = mkOption {
          type = types.listOf types.str;
          default = [ "drops-failed@%n.service" ];
          description = "Units that are started when a job fails.";
        };
        file = mkOption {
          type = types.path;
          internal = true;
          readOnly = true;
          default = if config.policy != null then config.policy else checked name config;
          description = "The policy as the units get it.";
        };
      };
    }
  );

  defaultGate = "/var/lib/drops/restore-in-progress";

  # A policy that drops would refuse at night is refused when the system is built.
  checked =
    name: of:
    let
      # JSON is YAML.
      written = pkgs.writeText "drops-${name}.json" (builtins.toJSON of.settings);
    in
    pkgs.runCommand "drops-${name}-checked.json" { } ''
      ${of.package}/bin/drops --policy ${written} policy check
      cp ${written} $out
    '';

  postgresql = lib.optional (config.services.postgresql.enable or false) config.services.postgresql.package;
  # What the capture calls on this machine; NixOS units have next to nothing on PATH.
  usual = with pkgs; [
    bash
    coreutils
    findutils
    gnugrep
    gnused
    gawk
    gnutar
    sqlite
    util-linux
    config.systemd.package
  ];
  policies = builtins.mapAttrs (_: of: of // { path = of.path ++ usual ++ postgresql; }) cfg.policies;
  merged = make: lib.foldl' (all: name: all // make name policies.${name}) { } (builtins.attrNames policies);
  gated = lib.concatMap (of: map (unit: { inherit unit; inherit (of) gate; }) of.units) (builtins.attrValues cfg.policies);
  kinds = [
    ".service"
    ".timer"
    ".socket"
    ".target"
  ];
  # The gate as a condition of every unit of this kind; a list, so that it joins other conditions.
  gatesOf =
    kind:
    lib.mkMerge (
      map (each: {
        ${lib.removeSuffix kind each.unit}.unitConfig.ConditionPathExists = [ "!${each.gate}" ];
      }) (lib.filter (each: lib.hasSuffix kind each.unit) gated)
    );
in
{
  options.services.drops = {
    package = mkOption {
      type = types.package;
      default = pkgs.callPackage ./package.nix { };
      defaultText = lib.literalExpression "pkgs.callPackage ./package.nix { }";
      description = "The drops to use.";
    };
    policies = mkOption {
      type = types.attrsOf policy;
      default = { };
      description = "What is backed up every night.";
    };
    failedCommand = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = lib.literalExpression ''"''${pkgs.curl}/bin/curl -sS -d %i https://ntfy.example.org/backups"'';
      description = "A command that is run when a job has failed, in ExecStart= syntax: %i is the unit's name. The log is written in any case.";
    };
  };

  config = lib.mkIf (cfg.policies != { }) {
    assertions = lib.concatMap (
      name:
      let
        of = cfg.policies.${name};
        drill = of.jobs.drill;
        keeper = of.jobs.keeper;
        given = of.credentials // drill.credentials;
      in
      [
        {
          assertion =
            (of.policy == null) != (of.settings == null)
            && (of.settings == null || (of.settings.name or null) == name);
          message = "services.drops.policies.${name}: exactly one of policy and settings, and settings.name must be \"${name}\"";
        }
        {
          assertion = !keeper.enable || ((of.settings == null || of.settings ? object_lock) && keeper.credentials != { });
          message = "services.drops.policies.${name}: jobs.keeper needs object_lock in the policy, and jobs.keeper.credentials of its own";
        }
        {
          assertion = !drill.enable || (of.user != null && of.user != "root");
          message = "services.drops.policies.${name}: a drill runs code out of the backup: set user, to one without privileges";
        }
        {
          assertion = !drill.enable || builtins.all (each: given ? ${each}) units.table.jobs.drill.credentials;
          message = "services.drops.policies.${name}: jobs.drill.credentials needs ${lib.concatMapStringsSep " and " (each: each) units.table.jobs.drill.credentials}";
        }
        {
          assertion = builtins.all (unit: builtins.any (kind: lib.hasSuffix kind unit) kinds) of.units;
          message = "services.drops.policies.${name}: units needs whole names such as nginx.service; it holds ${lib.concatMapStringsSep " " (unit: unit) of.units}";
        }
      ]
    ) (builtins.attrNames cfg.policies);

    environment.systemPackages = [ cfg.package ];

    systemd.services = lib.mkMerge [
      (merged units.services)
      {
        "drops-failed@" = {
          description = "drops: tell that %i failed";
          serviceConfig = {
            Type = "oneshot";
            SyslogLevel = "err";
            TimeoutStartSec = "5min";
            MemoryMax = "512M";
            TasksMax = "64";
            ExecStart = [
              "${pkgs.coreutils}/bin/echo \"%i failed: journalctl -u '%i' says why\""
            ]
            ++ lib.optional (cfg.failedCommand != null) cfg.failedCommand;
          };
        };
      }
      (gatesOf ".service")
    ];
    systemd.timers = lib.mkMerge [
      (merged units.timers)
      (gatesOf ".timer")
    ];
    systemd.sockets = gatesOf ".socket";
    systemd.targets = gatesOf ".target";
  };
}
