// How many tokens two token lists have in common from the start: the measure of what one request can reuse of another.
export function commonPrefixTokens(left: ArrayLike<number>, right: ArrayLike<number>): number {
  const limit = Math.min(left.length, right.length);
  let count = 0;
  while (count < limit && left[count] === right[count]) count++;
  return count;
}
