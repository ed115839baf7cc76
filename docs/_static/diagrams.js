// Draws the diagrams of a page; where that fails, their text stays.
document.addEventListener("DOMContentLoaded", async () => {
  if (!window.mermaid) return;
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  window.mermaid.initialize({ startOnLoad: false, securityLevel: "strict", theme: dark ? "dark" : "neutral", fontFamily: "inherit" });
  for (const [number, place] of document.querySelectorAll(".diagram").entries()) {
    const { svg } = await window.mermaid.render(`diagram-${number}`, place.textContent);
    place.innerHTML = svg;
    // On a narrow screen it is scrolled rather than shrunk until nobody can read it.
    const drawn = place.firstElementChild;
    drawn.style.minWidth = `${Math.round(0.6 * drawn.viewBox.baseVal.width)}px`;
  }
});
