// Answers of the scripted engine whose end the test decides, so that no speed of a machine is a test's.

/** An answer in two parts: the second one comes when the test says so, however long what the test looks at takes. */
export function heldAnswer(first: string, second: string): { answer: () => Iterable<string>; goOn: () => void } {
  let isHeld = true;
  return {
    goOn: () => {
      isHeld = false;
    },
    *answer() {
      yield first;
      while (isHeld) yield "";
      yield second;
    },
  };
}

/** "w0 w1 w2 …": an answer that ends only when it is stopped. */
export function* endlessWords(): Generator<string> {
  for (let n = 0; ; n++) yield `w${n} `;
}
