// What a compiler sees of `@riverrun/client/react`: the hook with every type that it names. It is
// a module of its own because a client component may not `export *`.
export { forget, useRiverrun } from "./react.js";
export * from "./events.js";
export * from "./types.js";
