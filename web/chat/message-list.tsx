// The conversation: a virtual list, so that 500 messages cost what the ten in view cost. It follows a growing answer while the
// reader is at the end, and lets go as soon as the reader scrolls up.
import {
  type KeyboardEvent,
  type ReactElement,
  useCallback,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "react";
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

const upwardKeys = new Set(["ArrowUp", "PageUp", "Home"]);

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
  const lastToGo = useRef(0);
  const [isAway, setAway] = useState(false);

  const toEnd = useCallback(() => {
    const box = scroller.current;
    if (box !== null) box.scrollTop = box.scrollHeight;
  }, []);

  // Another conversation, or a new question: the end is what the reader wants to see.
  // biome-ignore lint/correctness/useExhaustiveDependencies: runs when the conversation or its leaf changes
  useLayoutEffect(() => {
    const found = path.findIndex(({ id }) => id === workbench.wanted.value);
    workbench.wanted.value = undefined;
    follows.current = found < 0;
    setAway(found >= 0 && found < path.length - 2);
    if (found >= 0) {
      list.current?.scrollToIndex(found, { align: "start" });
      return;
    }
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

  // A browser scrolls in small steps: the way up must let go at once, or the next growth would pull the reader back.
  const touched = ({ isUpward = false } = {}): void => {
    touchedAt.current = performance.now();
    if (isUpward) follows.current = false;
  };
  const scrolled = (): void => {
    const box = scroller.current;
    if (box === null) return;
    const toGo = box.scrollHeight - box.scrollTop - box.clientHeight;
    const isNearEnd = toGo < nearEndPixels;
    if (toGo < 2 || (isNearEnd && toGo < lastToGo.current)) follows.current = true;
    else if (performance.now() - touchedAt.current < byHandMs) follows.current = false;
    lastToGo.current = toGo;
    setAway(!isNearEnd && !follows.current);
  };
  const pressed = (event: KeyboardEvent): void => {
    touched({ isUpward: upwardKeys.has(event.key) });
    // The browser's own way there is an animation, which rows that are measured on the way would stop.
    if (event.target !== event.currentTarget || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Home") list.current?.scrollToIndex(0);
    else if (event.key === "End") {
      follows.current = true;
      toEnd();
    } else return;
    event.preventDefault();
  };

  return (
    <div className="message-area">
      <section
        ref={scroller}
        className="message-scroll"
        aria-label={t.messages}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: the list scrolls, and the keyboard must reach it
        tabIndex={0}
        onScroll={scrolled}
        onWheel={(event) => touched({ isUpward: event.deltaY < 0 })}
        onTouchMove={() => touched()}
        onKeyDown={pressed}
        onPointerDown={() => touched()}
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
