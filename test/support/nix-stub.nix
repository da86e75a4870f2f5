# As much of nixpkgs' lib as nix/module.nix asks for, and a small reader of its options: enough to evaluate the module
# where there is no nixpkgs. It checks no types. Returns what the module would configure, as plain data.
{
  module,
  policies,
  failedCommand ? null,
  postgresql ? true,
}:
let
  isSub = type: type ? sub;
  lib = {
    inherit (builtins) filter concatMap foldl';
    mkOption = option: option;
    mkIf = condition: value: if condition then value else { };
    mkMerge = all: builtins.foldl' mergeDeep { } all;
    literalExpression = text: text;
    optional = condition: value: if condition then [ value ] else [ ];
    optionalAttrs = condition: value: if condition then value else { };
    mapAttrsToList = f: set: map (name: f name set.${name}) (builtins.attrNames set);
    concatMapStringsSep = separator: f: list: builtins.concatStringsSep separator (map f list);
    hasSuffix =
      suffix: text:
      let
        from = builtins.stringLength text - builtins.stringLength suffix;
      in
      from >= 0 && builtins.substring from (-1) text == suffix;
    removeSuffix =
      suffix: text:
      if lib.hasSuffix suffix text then
        builtins.substring 0 (builtins.stringLength text - builtins.stringLength suffix) text
      else
        text;
    types = {
      bool = { };
      str = { };
      path = { };
      package = { };
      anything = { };
      nullOr = type: type;
      listOf = _: { };
      attrsOf = type: if isSub type then { each = type; } else { };
      submodule = sub: { inherit sub; };
    };
  };
  mergeDeep =
    left: right:
    left
    // builtins.mapAttrs (
      name: value:
      if builtins.isAttrs value && builtins.isAttrs (left.${name} or null) then mergeDeep left.${name} value else value
    ) right;

  # Values that were given, and defaults for all others; like the real one it refuses what is no option.
  read =
    options: given:
    let
      unknown = builtins.filter (name: !(options ? ${name})) (builtins.attrNames given);
    in
    if unknown != [ ] then
      throw "no such option: ${builtins.head unknown}"
    else
      builtins.mapAttrs (
        name: option:
        if option ? type then
          coerce name option.type (given.${name} or option.default or (throw "${name} is not set"))
        else
          read option (given.${name} or { })
      ) options;
  coerce =
    name: type: value:
    if type ? each then
      builtins.mapAttrs (key: coerce key type.each) value
    else if isSub type then
      let
        result = read (if builtins.isFunction type.sub then type.sub { inherit name; config = result; } else type.sub).options value;
      in
      result
    else
      value;

  pkgs = {
    callPackage = _: _: "/nix/store/drops";
    writeText = name: _: "/nix/store/${name}";
    runCommand = name: _: _: "/nix/store/${name}";
  }
  // builtins.listToAttrs (
    map
      (name: {
        inherit name;
        value = "/nix/store/${name}";
      })
      [
        "bash"
        "coreutils"
        "findutils"
        "gnugrep"
        "gnused"
        "gawk"
        "gnutar"
        "sqlite"
        "util-linux"
      ]
  );

  made = import module { inherit config lib pkgs; };
  config = {
    systemd.package = "/nix/store/systemd";
    services.postgresql = {
      enable = postgresql;
      package = "/nix/store/postgresql-configured";
    };
    services.drops = read made.options.services.drops { inherit policies failedCommand; };
  };
in
made.config
