// How long what confirms something stays, in milliseconds. Tests of the page lengthen both by these names.

/** A notice at the bottom of the page, long enough to be read. */
export const noticeMs = 6000;

/** "Copied", on the button itself. */
export const copiedMs = 1500;
