/*
 * `<riverrun-chat>`: this page inside another page, with one tag.
 *
 *     <script src="https://chat.example.org/embed.js" defer></script>
 *     <riverrun-chat style="height: 36rem"></riverrun-chat>
 *
 * The page runs in a frame of its own origin inside a shadow root: neither page can read, style or
 * script the other. Attributes: `endpoint` (an address of another deployment, or a path on this
 * one), `lang`, `theme` (`light`, `dark`). The property `key` hands over a key.
 * The frame's `_headers` list the origins that may frame it (docs/page.md).
 */
(() => {
  const home = new URL(".", document.currentScript.src);

  class RiverrunChat extends HTMLElement {
    static observedAttributes = ["endpoint", "lang", "theme"];
    #frame = null;
    #key = "";

    connectedCallback() {
      if (this.#frame) return;
      this.#frame = Object.assign(document.createElement("iframe"), { allow: "clipboard-write", title: this.title || "Chat" });
      // Not a style sheet: the policy of the page around may forbid them.
      Object.assign(this.#frame.style, { border: "0", width: "100%", height: "100%", display: "block", colorScheme: "normal" });
      if (getComputedStyle(this).display === "inline") this.style.display = "block";
      if (this.clientHeight === 0) this.style.height = "36rem";
      this.#frame.addEventListener("load", () => this.#sendKey());
      this.#load();
      this.attachShadow({ mode: "open" }).append(this.#frame);
    }

    attributeChangedCallback() {
      if (this.#frame) this.#load();
    }

    get key() {
      return this.#key;
    }

    set key(key) {
      this.#key = String(key ?? "");
      this.#sendKey();
    }

    #load() {
      const endpoint = this.getAttribute("endpoint") ?? "";
      const address = endpoint === "" ? home : new URL(endpoint, home);
      const page = new URL(address.origin === home.origin ? home : "/", address);
      page.searchParams.set("embed", "");
      if (endpoint !== "") page.searchParams.set("endpoint", address.pathname);
      for (const name of ["lang", "theme"]) if (this.hasAttribute(name)) page.searchParams.set(name, this.getAttribute(name));
      if (this.#frame.src !== page.href) this.#frame.src = page.href;
    }

    #sendKey() {
      if (this.#key === "" || !this.#frame?.contentWindow) return;
      this.#frame.contentWindow.postMessage({ riverrunKey: this.#key }, new URL(this.#frame.src).origin);
    }
  }

  customElements.define("riverrun-chat", RiverrunChat);
})();
