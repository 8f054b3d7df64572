// The visible texts of a page whose contrast with their ground is under 4.5 (WCAG 2.2, 1.4.3).
(() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });

  /** Red, green, blue of `colours` painted one over the other on white. */
  const paint = (colours) => {
    canvas.fillStyle = "white";
    canvas.fillRect(0, 0, 1, 1);
    for (const colour of colours) {
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
    }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = (rgb) => {
    const [red, green, blue] = rgb.map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const grounds = (node) => (node ? [...grounds(node.parentElement), getComputedStyle(node).backgroundColor] : []);
  const contrast = (node) => {
    const under = grounds(node);
    const ground = luminance(paint(under));
    const text = luminance(paint([...under, getComputedStyle(node).color]));
    return (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05);
  };

  const low = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode.parentElement;
    const shown = node.checkVisibility() && !node.closest(".visually-hidden, .skip, template, noscript");
    if (!shown || texts.currentNode.textContent.trim() === "") continue;
    const ratio = contrast(node);
    if (ratio < 4.5) low.push(`${texts.currentNode.textContent.trim()}: ${ratio.toFixed(2)}`);
  }
  return low;
})()
