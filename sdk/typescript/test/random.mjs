// Numbers that a seed decides.

/** Returns a function that draws a whole number below another one, by Marsaglia's xorshift. */
export function generator(seed) {
  let state = (seed * 2_654_435_761) >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}
