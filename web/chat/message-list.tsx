// The conversation: a virtual list, so that 500 messages cost what the ten in view cost. It follows a growing answer while the
// reader is at the end, and lets go as soon as the reader scrolls up.
import { type ReactElement, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { Virtualizer, type VirtualizerHandle } from "virtua";
import { pathTo } from "../conversation.ts";
import { useStrings } from "../preferences.ts";
import { useSignal } from "../signal.ts";
import { Button } from "../ui/controls.tsx";
import type { Workbench } from "../workbench.ts";
import { MessageRow } from "./message-row.tsx";

const nearEndPixels = 64;
/** A scroll this soon after a wheel, touch, key or pointer is the reader's; others come from content that grows. */
const byHandMs = 400;

export function MessageList({
  workbench,
  editingId,
  onEdit,
}: {
  workbench: Workbench;
  editingId: string | undefined;
  onEdit: (id: string | undefined) => void;
}): ReactElement {
  const t = useStrings();
  const { head, messages } = useSignal(workbench.open);
  const answers = useSignal(workbench.answers);
  const path = useMemo(() => pathTo(messages, head.leafId), [messages, head.leafId]);
  const scroller = useRef<HTMLDivElement>(null);
  const list = useRef<VirtualizerHandle>(null);
  const content = useRef<HTMLDivElement>(null);
  const follows = useRef(true);
  const touchedAt = useRef(0);
  const [isAway, setAway] = useState(false);

  const toEnd = useCallback(() => {
    const box = scroller.current;
    if (box !== null) box.scrollTop = box.scrollHeight;
  }, []);

  // Another conversation, or a new question: the end is what the reader wants to see.
  // biome-ignore lint/correctness/useExhaustiveDependencies: runs when the conversation or its leaf changes
  useLayoutEffect(() => {
    follows.current = true;
    setAway(false);
    list.current?.scrollToIndex(path.length - 1, { align: "end" });
    requestAnimationFrame(toEnd);
  }, [head.id, head.leafId]);

  useEffect(() => {
    if (content.current === null) return;
    const observer = new ResizeObserver(() => {
      if (follows.current) toEnd();
    });
    observer.observe(content.current);
    return () => observer.disconnect();
  }, [toEnd]);

  const touched = (): void => {
    touchedAt.current = performance.now();
  };
  const scrolled = (): void => {
    const box = scroller.current;
    if (box === null) return;
    const isNearEnd = box.scrollHeight - box.scrollTop - box.clientHeight < nearEndPixels;
    if (isNearEnd) follows.current = true;
    else if (performance.now() - touchedAt.current < byHandMs) follows.current = false;
    setAway(!isNearEnd && !follows.current);
  };

  return (
    <div className="message-area">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: the list scrolls, and the keyboard must reach it */}
      <section
        ref={scroller}
        className="message-scroll"
        aria-label={t.messages}
        tabIndex={0}
        onScroll={scrolled}
        onWheel={touched}
        onTouchMove={touched}
        onKeyDown={touched}
        onPointerDown={touched}
      >
        <div ref={content} className="message-content">
          <Virtualizer ref={list} scrollRef={scroller} bufferSize={600}>
            {path.map((message, n) => (
              <MessageRow
                key={message.id}
                workbench={workbench}
                message={message}
                running={answers.get(message.id)}
                isLast={n === path.length - 1}
                isLeftOut={head.leftOutIds.includes(message.id)}
                isEditing={editingId === message.id}
                onEdit={onEdit}
              />
            ))}
          </Virtualizer>
        </div>
      </section>
      {isAway && (
        <div className="jump">
          <Button
            icon="down"
            onClick={() => {
              follows.current = true;
              toEnd();
            }}
          >
            {t.jumpToLatest}
          </Button>
        </div>
      )}
    </div>
  );
}
