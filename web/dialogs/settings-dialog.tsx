// Settings of this chat and of the page. Everything takes effect at once; an empty number means that it is not sent, so the
// model's own default holds.
import { type ReactElement, useId, useState } from "react";
import type { ChatSettings, TemperatureChoice } from "../conversation.ts";
import { defaultSettings, temperatures } from "../conversation.ts";
import { measuredNow, useEngine } from "../engine-choice.ts";
import { setPreferences, type Theme, usePreferences, useStrings } from "../preferences.ts";
import { useSignal } from "../signal.ts";
import type { Language } from "../strings.ts";
import { Button, Dialog, Segmented } from "../ui/controls.tsx";
import { duration, rate } from "../ui/format.ts";
import { showToast } from "../ui/toasts.tsx";
import type { Workbench } from "../workbench.ts";
import { EngineForm } from "./engine-form.tsx";

type NumberKey = "temperature" | "topP" | "topK" | "minP" | "seed" | "maxTokens";

const choices: readonly TemperatureChoice[] = ["auto", "precise", "balanced", "creative", "custom"];

export function SettingsDialog({ workbench, onClose }: { workbench: Workbench; onClose: () => void }): ReactElement {
  const t = useStrings();
  const preferences = usePreferences();
  const { settings } = useSignal(workbench.open).head;
  const change = (next: Partial<ChatSettings>): void => workbench.settingsChanged(next);
  const put = (key: NumberKey, value: number | undefined): void => {
    const { [key]: _, ...rest } = settings;
    const { head } = workbench.open.value;
    void workbench.changeHead(head.id, { settings: value === undefined ? rest : { ...rest, [key]: value } });
  };
  const promptId = useId();
  const measured = measuredNow(useEngine(workbench));
  const reading = (tokens: number): string =>
    measured && measured.promptPerSecond > 0
      ? t.readingMeasured(tokens.toLocaleString("en"), duration((1000 * tokens) / measured.promptPerSecond))
      : "";
  const writing = measured?.together[0]?.tokensPerSecond ?? 0;
  const words = {
    isDraftPrefilled: [t.draftSetting, t.sentences([t.draftSettingAbout, reading(1000)])],
    isSlimming: [t.slimSetting, t.sentences([t.slimSettingAbout, reading(100)])],
    hasSuggestions: [t.suggestSetting, t.suggestSettingAbout],
  };
  return (
    <Dialog
      title={t.settings}
      className="settings"
      onClose={onClose}
      actions={
        <>
          <Button
            look="quiet"
            onClick={() => {
              void workbench.changeHead(workbench.open.value.head.id, { settings: defaultSettings });
            }}
          >
            {t.resetSettings}
          </Button>
          <span className="spacer" />
          <Button
            onClick={() => {
              setPreferences({ newChatSettings: settings });
              showToast({ text: t.savedAsDefault });
            }}
          >
            {t.saveAsDefault}
          </Button>
        </>
      }
    >
      <section aria-label={t.general}>
        <h3>{t.general}</h3>
        <Row name={t.language}>
          <Segmented<Language>
            label={t.language}
            value={preferences.language}
            options={[
              { id: "zh", label: "中文" },
              { id: "en", label: "English" },
            ]}
            onChange={(language) => setPreferences({ language })}
          />
        </Row>
        <Row name={t.theme}>
          <Segmented<Theme>
            label={t.theme}
            value={preferences.theme}
            options={[
              { id: "system", label: t.themes.system, icon: "system" },
              { id: "light", label: t.themes.light, icon: "sun" },
              { id: "dark", label: t.themes.dark, icon: "moon" },
            ]}
            onChange={(theme) => setPreferences({ theme })}
          />
        </Row>
      </section>
      <section aria-label={t.whileWriting}>
        <h3>{t.whileWriting}</h3>
        {(["isDraftPrefilled", "isSlimming", "hasSuggestions"] as const).map((name) => (
          <label key={name} className="setting switch">
            <span>
              <span className="setting-name">{words[name][0]}</span>
              <span className="hint">{words[name][1]}</span>
            </span>
            <input
              type="checkbox"
              checked={preferences[name]}
              onChange={(event) => setPreferences({ [name]: event.target.checked })}
            />
          </label>
        ))}
      </section>
      <section aria-label={t.thisChat}>
        <h3>{t.thisChat}</h3>
        <Row
          name={t.temperature}
          about={t.sentences([
            settings.temperatureChoice === "auto" ? t.temperatureAuto : t.temperatureAbout,
            measured && t.temperatureMeasured(rate(writing), rate(measured.sampledPerSecond)),
          ])}
          isStacked
        >
          <Segmented
            label={t.temperature}
            value={settings.temperatureChoice}
            options={choices.map((id) => ({
              id,
              label: `${t.temperatureChoices[id]} ${temperatures[id] ?? ""}`.trim(),
            }))}
            onChange={(temperatureChoice) => change({ temperatureChoice })}
          />
        </Row>
        {settings.temperatureChoice === "custom" && (
          <NumberRow
            name={t.customTemperature}
            about={t.customTemperatureAbout}
            value={settings.temperature}
            range={[0, 2]}
            onChange={(value) => put("temperature", value)}
          />
        )}
        <div className="field">
          <label htmlFor={promptId}>{t.systemPrompt}</label>
          <p className="hint">{t.systemPromptAbout}</p>
          <textarea
            id={promptId}
            rows={4}
            value={settings.systemPrompt}
            placeholder={t.systemPromptPlaceholder}
            onChange={(event) => change({ systemPrompt: event.target.value })}
          />
        </div>
        <NumberRow
          name={t.maxTokens}
          about={t.sentences([t.maxTokensAbout, writing > 0 && t.maxTokensMeasured("1,000", duration(1e6 / writing))])}
          value={settings.maxTokens}
          range={[1, 1_000_000]}
          isWhole
          onChange={(value) => put("maxTokens", value)}
        />
        <details className="fold">
          <summary>{t.advanced}</summary>
          <NumberRow
            name="top_p"
            about={t.topPAbout}
            value={settings.topP}
            range={[0.01, 1]}
            onChange={(value) => put("topP", value)}
          />
          <NumberRow
            name="top_k"
            about={t.topKAbout}
            value={settings.topK}
            range={[0, 1000]}
            isWhole
            onChange={(value) => put("topK", value)}
          />
          <NumberRow
            name="min_p"
            about={t.minPAbout}
            value={settings.minP}
            range={[0, 1]}
            onChange={(value) => put("minP", value)}
          />
          <NumberRow
            name={t.seed}
            about={t.seedAbout}
            value={settings.seed}
            range={[0, 4_294_967_295]}
            isWhole
            onChange={(value) => put("seed", value)}
          />
        </details>
      </section>
      <EngineForm workbench={workbench} />
    </Dialog>
  );
}

function Row({
  name,
  about,
  isStacked = false,
  children,
}: {
  name: string;
  about?: string;
  isStacked?: boolean;
  children: ReactElement;
}): ReactElement {
  return (
    <div className={isStacked ? "setting stacked" : "setting"}>
      <div>
        <div className="setting-name">{name}</div>
        {about && <p className="hint">{about}</p>}
      </div>
      {children}
    </div>
  );
}

/** A number or nothing. What is typed stays in the field; only a valid number is kept, and the field says what is valid. */
function NumberRow({
  name,
  about,
  value,
  range: [least, most],
  isWhole = false,
  onChange,
}: {
  name: string;
  about: string;
  value: number | undefined;
  range: readonly [number, number];
  isWhole?: boolean;
  onChange: (value: number | undefined) => void;
}): ReactElement {
  const t = useStrings();
  const id = useId();
  const [typed, setTyped] = useState(value === undefined ? "" : String(value));
  const parsed = Number(typed);
  const isValid = typed.trim() === "" || (parsed >= least && parsed <= most && (!isWhole || Number.isInteger(parsed)));
  return (
    <div className="setting">
      <div>
        <label className="setting-name" htmlFor={id}>
          {name}
        </label>
        <p className="hint" id={`${id}-about`}>
          {isValid ? about : <span className="field-error">{t.invalidNumber(least, most)}</span>}
        </p>
      </div>
      <input
        id={id}
        className="number"
        type="text"
        inputMode={isWhole ? "numeric" : "decimal"}
        value={typed}
        placeholder={t.fromModel}
        aria-describedby={`${id}-about`}
        aria-invalid={!isValid}
        onChange={(event) => {
          const next = event.target.value;
          setTyped(next);
          const number = Number(next);
          if (next.trim() === "") onChange(undefined);
          else if (number >= least && number <= most && (!isWhole || Number.isInteger(number))) onChange(number);
        }}
      />
    </div>
  );
}
