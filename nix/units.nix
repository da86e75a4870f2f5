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

  serviceOf =
    name: policy: jobName:
    let
      job = table.jobs.${jobName};
      chosen = policy.jobs.${jobName};
      capture = policy.local && job.meetsHost;
      credentials = policy.credentials // chosen.credentials;
      named = builtins.replaceStrings [ "{policy}" ] [ name ];
    in
    {
      description = "drops: ${job.description} (${name})";
      wants = [ table.unit.Wants ];
      after = [ table.unit.After ] ++ lib.optional capture "postgresql.service";
      # The empty services of a machine that is being restored are nothing to keep.
      unitConfig = lib.optionalAttrs capture { ConditionPathExists = "!${policy.gate}"; };
      onFailure = policy.onFailure;
      # A switch neither starts a backup nor breaks one off.
      restartIfChanged = false;
      stopIfChanged = false;
      path = policy.path;
      serviceConfig =
        table.service
        // (if capture then table.profiles.capture else table.profiles.away)
        // builtins.mapAttrs (_: named) (job.service or { })
        // {
          TimeoutStartSec = job.limit;
          ExecStart = lib.concatMapStringsSep " " word (
            [
              "${policy.package}/bin/drops"
              "--policy"
              "${policy.file}"
            ]
            ++ map named job.arguments
          );
        }
        // lib.optionalAttrs (!capture && policy.user != null) { User = policy.user; }
        // lib.optionalAttrs (credentials != { }) {
          LoadCredential = lib.mapAttrsToList (id: file: "${id}:${file}") credentials;
          BindReadOnlyPaths = "/run/credentials/drops-${jobName}-${name}.service:${credentialsAt}";
        }
        // lib.optionalAttrs (!capture && policy.storeDirectory != null) {
          ReadWritePaths = "-${policy.storeDirectory}";
        };
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
  each =
    make: name: policy:
    builtins.listToAttrs (
      map (job: {
        name = "drops-${job}-${name}";
        value = make name policy job;
      }) (enabledJobs policy)
    );
in
{
  inherit table credentialsAt;
  services = each serviceOf;
  timers = each timerOf;
}
