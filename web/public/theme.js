// Runs before the first paint, so that a chosen theme never flashes the other one. preferences.ts owns the value.
try {
  const { theme } = JSON.parse(localStorage.getItem("quern.preferences") ?? "{}");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // No storage, or not ours: the system's theme stays.
}
