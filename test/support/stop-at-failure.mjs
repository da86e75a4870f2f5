/** A reporter of node:test that ends the process at the first failure: whoever asks only whether one fails need not wait. */
// biome-ignore lint/style/noDefaultExport: node:test takes a reporter as a module's default
export default async function* stopAtFailure(events) {
  for await (const event of events) {
    if (event.type === "test:fail") process.exit(1);
    if (event.type === "test:pass") yield "";
  }
}
