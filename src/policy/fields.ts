import * as z from "zod";

/** What several parts of a policy are written in. */
export const Name: z.ZodString = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,62}$/, "lower-case letters, digits and dashes, starting with a letter");

export const AbsolutePath: z.ZodString = z
  .string()
  .regex(/^\/[^\0]*$/, "an absolute path")
  .refine((path) => !path.split("/").includes(".."), "no .. in it");

export const Duration: z.ZodString = z
  .string()
  .regex(/^\d+(s|m|h|d)$/, "a number and s, m, h or d, such as 24h");

export const ContainerName: z.ZodString = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/, "a container's name, as docker ps or podman ps shows it");

export const ContainerEngine = z.enum(["docker", "podman"]);
export type ContainerEngine = z.infer<typeof ContainerEngine>;

export const UnitName: z.ZodString = z
  .string()
  .regex(
    /^[A-Za-z0-9:_.@][A-Za-z0-9:_.@-]*\.(service|timer|socket|target)$/,
    "a systemd unit with its suffix",
  );
