// What the engines' logits are compared on: the same prompt, positions and token ids on each side.

/** A prompt that crosses two page borders. Any ids will do: on a random file no text means anything. */
export function promptIds(vocabularyTokens: number): number[] {
  const plain = Math.min(vocabularyTokens, 150_000) - 300;
  return Array.from({ length: 140 }, (_, index) => 100 + ((index * 7919 + 13) % plain));
}

/** First tokens, and both sides of page borders. */
export const observedPositions: readonly number[] = [0, 1, 31, 63, 64, 65, 127, 128, 139];

/** Tokens whose log-probabilities are compared, spread over the vocabulary. */
export function observedIds(vocabularyTokens: number): number[] {
  return Array.from({ length: 400 }, (_, index) => Math.floor((index * vocabularyTokens) / 400));
}
