import { usePreferences } from "./preferences.ts";
import { type OfficeStrings, officeStrings } from "./strings-office.ts";

export function useOfficeStrings(): OfficeStrings {
  return officeStrings[usePreferences().language];
}
