# Units of one policy from scripts/units/jobs.json, the table that scripts/install-systemd renders for Debian. Pure: it
# needs `lib` alone.
{ lib }:
let
  table = builtins.fromJSON (builtins.readFile ../scripts/units/jobs.json);
  credentialsAt = "/run/drops/credentials";

  # Unit files have their own meaning of %, $, quotes and backslashes.
  word =
    text:
    "\""
    + builtins.replaceStrings [ "%" "$" "\\" "\"" ] [ "%%" "$$" "\\\\" "\\\"" ] text
    + "\"";

  filled = name: jobName: builtins.replaceStrings [ "{policy}" "{job}" ] [ name jobName ];

  command =
    policy: words:
    lib.concatMapStringsSep " " word (
      [
        "${policy.package}/bin/drops"
        "--policy"
        "${policy.file}"
      ]
      ++ words
    );

  handedOver =
    policy: jobName: unit:
    let
      credentials = policy.credentials // policy.jobs.${jobName}.credentials;
    in
    lib.optionalAttrs (credentials != { }) {
      LoadCredential = lib.mapAttrsToList (id: file: "${id}:${file}") credentials;
      BindReadOnlyPaths = "/run/credentials/${unit}:${credentialsAt}";
    };

  serviceOf =
    name: policy: jobName:
    let
      job = table.jobs.${jobName};
      capture = policy.local && job.meetsHost;
      named = filled name jobName;
    in
    {
      description = "drops: ${job.description} (${name})";
      wants = [ table.unit.Wants ];
      after = [ table.unit.After ] ++ lib.optional capture "postgresql.service";
      # The empty services of a machine that is being restored are nothing to keep.
      unitConfig = lib.optionalAttrs capture { ConditionPathExists = "!${policy.gate}"; };
      onFailure = policy.onFailure ++ [ "drops-alert-${jobName}-${name}.service" ];
      # A switch neither starts a backup nor breaks one off.
      restartIfChanged = false;
      stopIfChanged = false;
      path = policy.path;
      serviceConfig =
        builtins.mapAttrs (_: named) table.service
        // (if capture then table.profiles.capture else table.profiles.away)
        // builtins.mapAttrs (_: named) (job.service or { })
        // {
          TimeoutStartSec = job.limit;
          ExecStart = command policy (map named job.arguments);
        }
        // lib.optionalAttrs (!capture && policy.user != null) { User = policy.user; }
        // handedOver policy jobName "drops-${jobName}-${name}.service"
        // lib.optionalAttrs (!capture && policy.storeDirectory != null) {
          ReadWritePaths = "-${policy.storeDirectory}";
        };
    };

  # Started by OnFailure=: tells the policy's channels what the job could not tell itself.
  alertOf =
    name: policy: jobName:
    let
      capture = policy.local && table.jobs.${jobName}.meetsHost;
      failed = "drops-${jobName}-${name}.service";
    in
    {
      description = "drops: tell that ${failed} failed";
      path = policy.path;
      serviceConfig =
        builtins.mapAttrs (_: filled name jobName) table.alert
        // {
          ExecStart = command policy [
            "notify"
            "failed"
            failed
          ];
        }
        // lib.optionalAttrs (!capture && policy.user != null) {
          User = policy.user;
          SupplementaryGroups = "systemd-journal"; # who may write what the job wrote, and read its log
        }
        // handedOver policy jobName "drops-alert-${jobName}-${name}.service";
    };

  timerOf =
    name: policy: jobName:
    let
      job = table.jobs.${jobName};
      chosen = policy.jobs.${jobName};
    in
    {
      description = "drops: when to ${job.description} (${name})";
      wantedBy = [ "timers.target" ];
      timerConfig = {
        OnCalendar = if chosen.calendar == null then job.calendar else chosen.calendar;
        RandomizedDelaySec = if chosen.delay == null then job.delay else chosen.delay;
        AccuracySec = "1s"; # the random delay is all there is of it
        Persistent = true;
      };
    };

  enabledJobs = policy: lib.filter (job: policy.jobs.${job}.enable) (builtins.attrNames table.jobs);
  each = eachNamed "drops-";
  eachNamed =
    prefix: make: name: policy:
    builtins.listToAttrs (
      map (job: {
        name = "${prefix}${job}-${name}";
        value = make name policy job;
      }) (enabledJobs policy)
    );
in
{
  inherit table credentialsAt;
  services = name: policy: each serviceOf name policy // eachNamed "drops-alert-" alertOf name policy;
  timers = each timerOf;
}
