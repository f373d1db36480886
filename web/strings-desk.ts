// The words of the live panel, templates, models, drafts and the command palette; strings.ts takes them in.

export const deskEn = {
  leftTitle: (count: number) =>
    count === 1
      ? "One chat of the first version is still in this browser."
      : `${count} chats of the first version are still in this browser.`,
  leftText: "Quern now keeps chats itself, where every tab and browser finds them.",
  leftImport: "Bring them over",
  leftDecline: "Leave them",
  leftDone: (count: number) => (count === 1 ? "1 chat brought over." : `${count} chats brought over.`),
};

export const deskZh: typeof deskEn = {
  leftTitle: (count) => `这个浏览器里还留着 ${count} 个旧版对话。`,
  leftText: "Quern 现在自己保存对话，任何标签页和浏览器都能找到。",
  leftImport: "搬过来",
  leftDecline: "不用了",
  leftDone: (count) => `已搬来 ${count} 个对话。`,
};
