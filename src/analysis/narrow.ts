const wideDigits = /[０-９．，％（）－＋]/g;

/** Full-width digits and signs as plain ones; spaces of every kind at the ends removed. */
export function narrow(text: string): string {
  return text
    .replace(wideDigits, (sign) => String.fromCharCode(sign.charCodeAt(0) - 0xfee0))
    .replace(/[\u00a0\u3000]/g, " ")
    .trim();
}
