// Line icons on a 20-unit grid, drawn for Quern. They are decoration: the control around one carries the name.
import type { ReactElement } from "react";

const paths = {
  plus: "M10 4v12M4 10h12",
  search: "M9 15A6 6 0 1 0 9 3a6 6 0 0 0 0 12Zm4.500-1.500L17 17",
  sidebar:
    "M3 5.500A1.500 1.500 0 0 1 4.500 4h11A1.500 1.500 0 0 1 17 5.500v9a1.500 1.500 0 0 1-1.500 1.500h-11A1.500 1.500 0 0 1 3 14.500ZM8 4v12",
  more: "M5 10h.010M10 10h.010M15 10h.010",
  pin: "M7.500 3h5l-.700 5 2.700 2.500V12h-9v-1.500L8.200 8ZM10 12v5",
  pencil: "m4 16 .800-3.200L13.500 4.100l2.400 2.400L7.200 15.200ZM12 5.600 14.400 8",
  trash: "M4 6h12M8 6V4h4v2M5.500 6l.700 10h7.600l.700-10M8.500 9v4.500M11.500 9v4.500",
  download: "M10 3.500V13M6 9.500l4 4 4-4M4 16.500h12",
  send: "M10 16V4.500M5 9l5-5 5 5",
  stop: "M6 6h8v8H6Z",
  attach:
    "m15.500 9.500-5.600 5.600a3.300 3.300 0 0 1-4.700-4.700l6-6a2.200 2.200 0 0 1 3.100 3.100l-5.900 5.900a1.100 1.100 0 0 1-1.600-1.600l5.200-5.200",
  template: "M4 4.500h12v4H4ZM4 11.500h5v4H4ZM12 11.500h4v4h-4Z",
  report: "M5 3h10v14H5ZM8 7h4M8 10h4M8 13h2.500",
  chart: "M4 16.500h12M6 14v-4M10 14V5M14 14V8",
  translate:
    "M3 5h7M6.500 3.500V5M8.500 5c-.500 3-2.500 5-5 6M4.500 7.500c1 1.800 2.500 3 4.500 3.500M10.500 16.500l3.250-8 3.250 8M11.600 14h4.300",
  settings: "M4 6h7M15 6h1M4 14h1M9 14h7M13 8a2 2 0 1 0 0-4 2 2 0 0 0 0 4ZM7 16a2 2 0 1 0 0-4 2 2 0 0 0 0 4Z",
  copy: "M7 7V4.500h8.500V13H13M4.500 7H13v8.500H4.500Z",
  check: "m4.500 10.500 3.500 3.500 7.500-8",
  retry: "M15.500 8A6 6 0 1 0 16 11.500M15.800 4v4h-4",
  play: "M7 5v10l8-5Z",
  left: "m12 5-5 5 5 5",
  right: "m8 5 5 5-5 5",
  down: "m5 8 5 5 5-5",
  close: "m5 5 10 10M15 5 5 15",
  file: "M5.500 3h6l3 3v11h-9ZM11.500 3v3h3",
  alert: "M10 7v4M10 14h.010M10 3l7.500 13.500h-15Z",
  sun: "M10 13a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM10 2.500V4M10 16v1.500M17.500 10H16M4 10H2.500M15.300 4.700l-1 1M5.700 14.300l-1 1M15.300 15.300l-1-1M5.700 5.700l-1-1",
  moon: "M16 11.500A6.500 6.500 0 0 1 8.500 4 6.500 6.500 0 1 0 16 11.500Z",
  system: "M3.500 4.500h13v9h-13ZM7 16.500h6",
  keyboard: "M3 6h14v8H3ZM6 9h.010M9 9h.010M12 9h.010M14.500 9h.010M6.500 11.500h7",
  eye: "M2.500 10S5.300 5 10 5s7.500 5 7.500 5-2.800 5-7.500 5-7.500-5-7.500-5ZM10 12a2 2 0 1 0 0-4 2 2 0 0 0 0 4Z",
  upload: "M10 13.500V4M6 8l4-4 4 4M4 16.500h12",
  bolt: "M11 3 5 11.500h4.500L9 17l6-8.500h-4.500Z",
  mail: "M3 5h14v10H3ZM3.500 5.500 10 11l6.500-5.500",
  notes: "M4.500 3.500h11v13h-11ZM7.500 7h5M7.500 10h5M7.500 13h3",
  list: "M7 5h9M7 10h9M7 15h9M4 5h.010M4 10h.010M4 15h.010",
  megaphone: "M4 8.500v3h2.500L13 15V5L6.500 8.500ZM15.500 8.500a2 2 0 0 1 0 3M7 11.500v4h2v-3",
  scales: "M10 4v12M6 16.500h8M4 6h12M4 6 2.500 11h3ZM16 6l-1.500 5h3Z",
  slides: "M3.500 4.500h13v8.500h-13ZM10 13v3.500M7 16.500h6M6.500 8h4M6.500 10.250h6",
  table: "M3.500 4.500h13v11h-13ZM3.500 8.200h13M3.500 11.900h13M8.500 4.500v11",
  code: "m7 6-4 4 4 4M13 6l4 4-4 4",
  review:
    "M4 4h9v5M4 4v12h5M6.500 7.500h4M6.500 10.500H9M13 15.500a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5ZM15 15l2 2",
  database:
    "M4.500 5.500c0-1.400 2.500-2 5.500-2s5.500.600 5.500 2-2.500 2-5.500 2-5.500-.600-5.500-2ZM4.500 5.500v9c0 1.400 2.500 2 5.500 2s5.500-.600 5.500-2v-9M4.500 10c0 1.400 2.500 2 5.500 2s5.500-.600 5.500-2",
  spelling: "m3 12 3-8 3 8M4 9.500h4M11 14l2 2 4-5",
  reply: "M8 5 3.500 9.500 8 14M3.500 9.500H12a4.500 4.500 0 0 1 4.500 4.500v1.500",
} as const;

export function isIconName(name: string): name is IconName {
  return Object.hasOwn(paths, name);
}

export type IconName = keyof typeof paths;

export function Icon({ name }: { name: IconName }): ReactElement {
  return (
    <svg className="icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false">
      <path d={paths[name]} />
    </svg>
  );
}

/** The upper stone of a quern: furrows run from the eye to the rim. */
export function Logo({ size = 28 }: { size?: number }): ReactElement {
  return (
    <svg className="logo" width={size} height={size} viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="9" className="logo-ground" />
      <g className="logo-stone">
        <circle cx="16" cy="16" r="9.500" />
        <path d="M16 6.500v5M16 20.500v5M24.200 11.250l-4.300 2.500M12.100 18.250l-4.300 2.500M24.200 20.750l-4.300-2.500M12.100 13.750l-4.300-2.500" />
        <circle cx="16" cy="16" r="2.600" />
      </g>
    </svg>
  );
}
