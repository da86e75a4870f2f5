/** For programs that get an environment of their own: where Node finds TypeScript that another process has read already. */
export const COMPILE_CACHE = { NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"] ?? "" } as const;
