# npmDepsHash belongs to package-lock.json: after it changed, build once, and put in what Nix says under "got:", or ask
#   nix run nixpkgs#prefetch-npm-deps -- package-lock.json
{
  lib,
  buildNpmPackage,
  nodejs_24,
  makeWrapper,
  openssh,
  npmDepsHash ? lib.fakeHash,
}:
let
  manifest = builtins.fromJSON (builtins.readFile ../package.json);
in
buildNpmPackage {
  pname = manifest.name;
  inherit (manifest) version;
  src = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      ../package.json
      ../package-lock.json
      ../tsconfig.json
      ../tsconfig.build.json
      ../src
      ../schemas
      ../policies
      ../scripts
      ../RECOVERY.md
      ../README.md
      ../LICENSE
      ../SECURITY.md
    ];
  };
  inherit npmDepsHash;
  nodejs = nodejs_24;
  # As .npmrc has it: no package needs its install script.
  npmFlags = [ "--ignore-scripts" ];
  nativeBuildInputs = [ makeWrapper ];
  # scripts/build looks for packages to install; these are its other lines.
  buildPhase = ''
    runHook preBuild
    rm -rf dist
    node node_modules/typescript/bin/tsc -p tsconfig.build.json
    (cd src && find . -type f ! -name '*.ts' -exec cp --parents {} ../dist \;)
    node scripts/sbom.ts > dist/sbom.cdx.json
    chmod +x dist/main.js
    runHook postBuild
  '';
  # The node that npm brings does not start on NixOS; the compiler, a dependency of the same kind, is static and does.
  postInstall = ''
    rm -rf $out/lib/node_modules/drops/node_modules/node-linux-*
    wrapProgram $out/bin/drops --suffix PATH : ${lib.makeBinPath [ openssh ]}
  '';
  doInstallCheck = true;
  installCheckPhase = ''
    $out/bin/drops --version
    $out/bin/drops --policy ${../policies/ops-jrz1.yaml} policy check
  '';
  meta = {
    inherit (manifest) description;
    license = lib.licenses.mit;
    mainProgram = "drops";
    platforms = lib.platforms.linux;
  };
}
