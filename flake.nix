{
  description = "Backup and disaster recovery for self-hosted services";

  # Any nixpkgs with nodejs_24.
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      each = make: nixpkgs.lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
    in
    {
      packages = each (pkgs: rec {
        drops = pkgs.callPackage ./nix/package.nix { };
        default = drops;
      });
      nixosModules.default = ./nix/module.nix;
      # nix flake check, or: nix build .#checks.x86_64-linux.nightly
      checks = each (pkgs: {
        nightly = pkgs.testers.runNixOSTest (import ./nix/test.nix { module = self.nixosModules.default; });
      });
      devShells = each (pkgs: {
        default = pkgs.mkShell {
          packages = with pkgs; [
            nodejs_24
            openssh
            postgresql
            age
            zstd
            jq
            shellcheck
          ];
        };
      });
    };
}
