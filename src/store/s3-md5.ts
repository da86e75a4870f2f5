import { createHash } from "node:crypto";

/** As much of a command as this needs. */
interface Sent {
  readonly middlewareStack: {
    add(
      middleware: (next: (args: Args) => Promise<never>) => (args: Args) => Promise<never>,
      how: { readonly step: "build"; readonly name: string; readonly priority: "low" },
    ): void;
  };
}

interface Args {
  readonly request: unknown;
}

/** Some requests must carry one of several checksums of their body; this is the one that every server knows. */
export function announceMd5(command: object): void {
  if (!isSent(command)) throw new TypeError("not a command of the SDK");
  command.middlewareStack.add(
    (next) => (args) => {
      const { request } = args;
      if (hasBody(request)) {
        request.headers["content-md5"] = createHash("md5").update(request.body).digest("base64");
      }
      return next(args);
    },
    { step: "build", name: "announceMd5", priority: "low" },
  );
}

function isSent(command: object): command is Sent {
  return "middlewareStack" in command;
}

function hasBody(
  request: unknown,
): request is { body: string | Uint8Array; headers: Record<string, string> } {
  if (typeof request !== "object" || request === null) return false;
  if (!("headers" in request) || !("body" in request)) return false;
  return typeof request.body === "string" || request.body instanceof Uint8Array;
}
