import fc from "fast-check";

/** Preloaded where it is counted which branches tests take: properties draw the same every time. */
fc.configureGlobal({ seed: 20261124 });
