import { Readable, Writable } from "node:stream";
import type { ClientChannel } from "ssh2";

/**
 * What is reached inside ssh2, in this file alone. Its own flow control knows one window of 2 MiB, topped up at 1 MiB,
 * which is 10 to 20 MB/s at 100 ms; and reading stderr reopens the window while nobody reads stdout. So the count that it
 * keeps is put out of its reach and the window is granted from here.
 */
interface Inside {
  readonly incoming: { window: number; readonly state: string };
  readonly outgoing: { readonly id: number; readonly state: string };
  readonly _client: {
    readonly _protocol: {
      channelWindowAdjust(channel: number, bytes: number): void;
    };
  };
}

/** Bytes that the host may send before we have taken them: what a link of 80 MB/s and 100 ms keeps under way. */
const WINDOW = 8 * 1024 * 1024;
const GRANTED_AT_OPENING = 2 * 1024 * 1024;
/** The host hears of free space in steps of this size. */
const STEP = 2 * 1024 * 1024;
/** Packets (of 32 KiB) that the stream holds for its reader. */
const AHEAD = 8;

/** The window of one channel: it grows by what was taken, so that what is under way never passes `WINDOW`. */
class Window {
  readonly #inside: Inside;
  #taken = 0;

  constructor(channel: ClientChannel) {
    this.#inside = inside(channel);
    this.#inside.incoming.window = Number.MAX_SAFE_INTEGER; // never low: ssh2 grants nothing by itself
    this.#grant(WINDOW - GRANTED_AT_OPENING);
  }

  taken(bytes: number): void {
    this.#taken += bytes;
    if (this.#taken < STEP) return;
    this.#grant(this.#taken);
    this.#taken = 0;
  }

  #grant(bytes: number): void {
    const { outgoing, _client } = this.#inside;
    if (outgoing.state === "open" || outgoing.state === "eof")
      _client._protocol.channelWindowAdjust(outgoing.id, bytes);
  }
}

/** Standard output of a channel, pulled; what came in the meantime is handed on in one piece. */
export class ChannelOutput extends Readable {
  readonly #window: Window;
  #waiting: Buffer[] = [];
  #wanted = false;
  #ended = false;

  /** Takes over `channel`: neither its data nor its stderr may be read by anyone else. */
  constructor(channel: ClientChannel, onStderr: (bytes: Buffer) => void) {
    // object mode: packets are handed on as they are instead of being copied together; the window counts what waits here
    super({ objectMode: true, highWaterMark: AHEAD });
    this.#window = new Window(channel);
    const push = channel.push.bind(channel);
    channel.push = (bytes: Buffer | null) => {
      if (bytes !== null) return this.#take(bytes);
      if (inside(channel).incoming.state === "eof") this.#end();
      return push(null); // its own end makes the channel close
    };
    channel.resume();
    channel.stderr.on("data", (bytes: Buffer) => {
      this.#window.taken(bytes.length);
      onStderr(bytes);
    });
  }

  /** The command has ended although the host never said that its output has. */
  finish(lost: Error | undefined): void {
    if (lost !== undefined) this.destroy(lost);
    else this.#end();
  }

  override _read(): void {
    this.#wanted = true;
    this.#hand();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    for (const bytes of this.#waiting) this.#window.taken(bytes.length);
    this.#waiting = [];
    done(error);
  }

  #take(bytes: Buffer): boolean {
    if (this.destroyed) {
      this.#window.taken(bytes.length); // nobody wants it any more: let the command run into its end
      return true;
    }
    this.#waiting.push(bytes);
    if (this.#wanted) this.#hand();
    return true;
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#wanted) this.#hand();
  }

  #hand(): void {
    let bytes = this.#waiting.shift();
    while (bytes !== undefined) {
      this.#window.taken(bytes.length);
      if (!this.push(bytes)) {
        this.#wanted = false;
        return;
      }
      bytes = this.#waiting.shift();
    }
    if (this.#ended) this.push(null);
  }
}

/** Standard input of a channel. Unlike ssh2's own it fails, with EPIPE, when the command is gone. */
export class ChannelInput extends Writable {
  readonly #channel: ClientChannel;

  constructor(channel: ClientChannel) {
    super({ highWaterMark: 256 * 1024 });
    this.#channel = channel;
    channel.on("error", () => {}); // told by its close
    this.on("error", () => {}); // it left without reading all: its exit status tells why
  }

  /** The command has ended; whatever was not sent yet never will be. */
  finish(lost: Error | undefined): void {
    if (this.writableFinished || this.destroyed) return;
    this.destroy(lost ?? Object.assign(new Error("write EPIPE"), { code: "EPIPE" }));
  }

  override _write(bytes: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#channel.write(bytes, done);
  }

  override _final(done: () => void): void {
    this.#channel.end();
    done();
  }
}

function inside(channel: ClientChannel): Inside {
  return channel as unknown as Inside;
}
