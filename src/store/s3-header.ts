import { hash } from "node:crypto";

interface Args {
  readonly request: unknown;
}

/** As much of a command as this needs. */
interface Sent {
  readonly middlewareStack: {
    add(
      middleware: (next: (args: Args) => Promise<never>) => (args: Args) => Promise<never>,
      how: { readonly step: "build"; readonly name: string; readonly priority: "low" },
    ): void;
  };
}

/**
 * Set a header of the request that a command becomes, before it is signed.
 *
 * @param valueFor its value for this body; undefined: none
 */
export function setHeader(
  command: object,
  name: string,
  valueFor: (body: unknown) => string | undefined,
): void {
  if (!isSent(command)) throw new TypeError("not a command of the SDK");
  command.middlewareStack.add(
    (next) => (args) => {
      const { request } = args;
      const value = isRequest(request) ? valueFor(request.body) : undefined;
      if (isRequest(request) && value !== undefined) request.headers[name] = value;
      return next(args);
    },
    { step: "build", name: `set ${name}`, priority: "low" },
  );
}

/** Some requests must carry one of several checksums of their body; this is the one that every server knows. */
export function announceMd5(command: object): void {
  setHeader(command, "content-md5", (body) =>
    typeof body === "string" || body instanceof Uint8Array ? hash("md5", body, "base64") : undefined,
  );
}

function isSent(command: object): command is Sent {
  return "middlewareStack" in command;
}

function isRequest(request: unknown): request is { body?: unknown; headers: Record<string, string> } {
  return typeof request === "object" && request !== null && "headers" in request;
}
