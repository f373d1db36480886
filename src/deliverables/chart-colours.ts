/** Of native charts, RRGGBB, in the order of the series: they stay apart in print and for people who see fewer colours. */
export const chartColours: readonly string[] = [
  "2F6F9F",
  "D9822B",
  "4C956C",
  "8E5EA2",
  "C0504D",
  "607D8B",
  "B8A13A",
  "9AA5B1",
];
