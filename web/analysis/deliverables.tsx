// One press: the finished analysis as slides, a report, a workbook or a post.
import { type ReactElement, useState } from "react";
import type { AnalysisBody, OverridesBody } from "../../src/server/api-types.ts";
import { makeFile, save } from "../documents/office-api.ts";
import { messageError } from "../live-answer.ts";
import { Button } from "../ui/controls.tsx";
import { showToast } from "../ui/toasts.tsx";
import { useOfficeStrings } from "../use-office-strings.ts";

type Format = keyof ReturnType<typeof useOfficeStrings>["formats"];
const formats: readonly Format[] = ["pptx", "outline", "docx", "xlsx", "wechat", "post", "markdown", "csv"];

export function Deliverables({
  analysis,
  fileId,
  overrides,
}: {
  analysis: AnalysisBody;
  fileId: string;
  overrides: OverridesBody;
}): ReactElement {
  const t = useOfficeStrings();
  const [making, setMaking] = useState<Format>();
  const make = async (format: Format): Promise<void> => {
    setMaking(format);
    try {
      const { blob, name } = await makeFile({ format, analysis, file_id: fileId, overrides });
      save(blob, name);
    } catch (error) {
      showToast({ text: `${t.failed} ${messageError(error).message}`, isError: true });
    } finally {
      setMaking(undefined);
    }
  };
  return (
    <section className="deliverables">
      <h3>{t.deliver}</h3>
      <div className="deliver-row">
        {formats.map((format) => (
          <Button
            key={format}
            icon="download"
            look={format === "pptx" ? "primary" : "plain"}
            disabled={making !== undefined}
            onClick={() => void make(format)}
          >
            {making === format ? t.making : t.formats[format]}
          </Button>
        ))}
      </div>
    </section>
  );
}
