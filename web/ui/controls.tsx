// Small controls shared by the whole page. Each has a name for screen readers, and native elements do the work where they can.
import {
  type ButtonHTMLAttributes,
  type ReactElement,
  type ReactNode,
  useEffect,
  useId,
  useRef,
  useState,
} from "react";
import { useStrings } from "../preferences.ts";
import { Icon, type IconName } from "./icons.tsx";

type Plain = Omit<ButtonHTMLAttributes<HTMLButtonElement>, "children" | "className" | "type">;

/** A button that shows an icon only; its label is spoken and appears as a tooltip. */
export function IconButton({ icon, label, ...rest }: { icon: IconName; label: string } & Plain): ReactElement {
  return (
    <button type="button" className="icon-button" aria-label={label} title={label} {...rest}>
      <Icon name={icon} />
    </button>
  );
}

export function Button({
  icon,
  look = "plain",
  children,
  ...rest
}: { icon?: IconName; look?: "plain" | "primary" | "quiet"; children: ReactNode } & Plain): ReactElement {
  return (
    <button type="button" className={`button ${look}`} {...rest}>
      {icon && <Icon name={icon} />}
      {children}
    </button>
  );
}

/** A modal dialog: the browser keeps the focus inside and gives it back afterwards. */
export function Dialog({
  title,
  className = "",
  onClose,
  children,
  actions,
}: {
  title: string;
  className?: string;
  onClose: () => void;
  children: ReactNode;
  actions?: ReactNode;
}): ReactElement {
  const t = useStrings();
  const dialog = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  useEffect(() => {
    dialog.current?.showModal();
    // The browser would take the close button; what is written in comes first.
    dialog.current?.querySelector<HTMLElement>("[data-first]")?.focus();
  }, []);
  return (
    // A click on the backdrop closes; the keyboard has Escape, which the element handles itself.
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape is the keyboard's way, and the close button another
    <dialog
      ref={dialog}
      className={`dialog ${className}`}
      aria-labelledby={titleId}
      onClose={onClose}
      onClick={(event) => event.target === dialog.current && dialog.current.close()}
    >
      <div className="dialog-inside">
        <header className="dialog-head">
          <h2 id={titleId}>{title}</h2>
          <IconButton icon="close" label={t.close} onClick={() => dialog.current?.close()} />
        </header>
        <div className="dialog-body">{children}</div>
        {actions && <footer className="dialog-actions">{actions}</footer>}
      </div>
    </dialog>
  );
}

export interface MenuItem {
  icon: IconName;
  label: string;
  isDangerous?: boolean;
  onSelect: () => void;
}

/** A button with a menu in the top layer, where no scrolling list can cut it off. Arrow keys move, Escape closes. */
export function Menu({ label, items }: { label: string; items: readonly MenuItem[] }): ReactElement {
  const id = useId();
  const button = useRef<HTMLButtonElement>(null);
  const menu = useRef<HTMLDivElement>(null);
  const [isOpen, setOpen] = useState(false);

  const place = (): void => {
    const anchor = button.current?.getBoundingClientRect();
    const box = menu.current;
    if (anchor === undefined || box === null) return;
    const { width, height } = box.getBoundingClientRect();
    box.style.left = `${Math.max(8, Math.min(anchor.right - width, innerWidth - width - 8))}px`;
    box.style.top = `${anchor.bottom + height + 12 > innerHeight ? anchor.top - height - 4 : anchor.bottom + 4}px`;
  };
  const move = (step: number): void => {
    const all = [...(menu.current?.querySelectorAll("button") ?? [])];
    const at = all.indexOf(document.activeElement as HTMLButtonElement);
    all.at((at + step + all.length) % all.length)?.focus();
  };

  return (
    <>
      <button
        ref={button}
        type="button"
        className="icon-button"
        aria-label={label}
        title={label}
        aria-haspopup="menu"
        aria-expanded={isOpen}
        popoverTarget={id}
      >
        <Icon name="more" />
      </button>
      <div
        id={id}
        ref={menu}
        popover="auto"
        role="menu"
        aria-label={label}
        className="menu"
        onToggle={(event) => {
          const opens = event.newState === "open";
          setOpen(opens);
          if (!opens) return;
          place();
          menu.current?.querySelector("button")?.focus();
        }}
        onKeyDown={(event) => {
          if (event.key === "ArrowDown") move(1);
          else if (event.key === "ArrowUp") move(-1);
          else return;
          event.preventDefault();
        }}
      >
        {isOpen &&
          items.map((item) => (
            <button
              key={item.label}
              type="button"
              role="menuitem"
              className={item.isDangerous ? "danger" : ""}
              onClick={() => {
                menu.current?.hidePopover();
                item.onSelect();
              }}
            >
              <Icon name={item.icon} />
              {item.label}
            </button>
          ))}
      </div>
    </>
  );
}

/** One of a few values, as a row of radio buttons that looks like a switch. */
export function Segmented<Id extends string>({
  label,
  value,
  options,
  onChange,
}: {
  label: string;
  value: Id;
  options: readonly { id: Id; label: string; icon?: IconName }[];
  onChange: (id: Id) => void;
}): ReactElement {
  const name = useId();
  return (
    <div className="segmented" role="radiogroup" aria-label={label}>
      {options.map((option) => (
        <label key={option.id} className={option.id === value ? "chosen" : ""}>
          <input
            type="radio"
            name={name}
            value={option.id}
            checked={option.id === value}
            onChange={() => onChange(option.id)}
          />
          {option.icon && <Icon name={option.icon} />}
          <span>{option.label}</span>
        </label>
      ))}
    </div>
  );
}
