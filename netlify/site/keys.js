/**
 * The key that a server may ask for: kept for this tab, or for this browser where its user says
 * so, and sent to the endpoint alone.
 */
import { setText } from "./elements.js";
import { say } from "./say.js";

const NAME = "riverrun-key";

/** `storage` by how long it lasts. */
export function openKeys({ tab = sessionStorage, browser = localStorage } = {}) {
  const read = (storage) => {
    try {
      return storage.getItem(NAME) ?? "";
    } catch {
      return "";
    }
  };
  let key = read(tab) || read(browser);

  return {
    /** Whether a key is set. */
    get isSet() {
      return key !== "";
    },

    /** What each request carries. */
    headers: () => (key === "" ? {} : { Authorization: `Bearer ${key}` }),

    use(value, isRemembered) {
      key = value;
      try {
        (isRemembered ? browser : tab).setItem(NAME, value);
      } catch {
        // Storage may be forbidden; the key then lasts as long as the page.
      }
    },

    forget() {
      key = "";
      for (const storage of [tab, browser]) {
        try {
          storage.removeItem(NAME);
        } catch {
          // Nothing was kept then.
        }
      }
    },
  };
}

/** A form that asks for the key, calls `use(key, isRemembered)`, and goes. */
export function askForKey(template, wasRefused, use) {
  const form = template.content.firstElementChild.cloneNode(true);
  const [key, isRemembered] = form.querySelectorAll("input");
  const [label, remember] = form.querySelectorAll("span");
  setText(form.querySelector("p"), say(wasRefused ? "keyWrong" : "keyLead"));
  setText(label, say("key"));
  setText(remember, say("keyRemember"));
  setText(form.querySelector("button"), say("keyUse"));
  form.addEventListener("submit", (submit) => {
    submit.preventDefault();
    form.remove();
    use(key.value.trim(), isRemembered.checked);
  });
  return form;
}
