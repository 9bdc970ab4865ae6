/* main.tsx - one page per address inside the shell. */
import { render } from "preact";
import "uplot/dist/uPlot.min.css";
import { Logs } from "./pages/logs.tsx";
import { Metrics } from "./pages/metrics.tsx";
import { Overview } from "./pages/overview.tsx";
import { Status } from "./pages/status.tsx";
import { Targets } from "./pages/targets.tsx";
import { usePlace } from "./state.ts";
import { Empty } from "./ui/parts.tsx";
import { PAGES, setTheme, Shell } from "./ui/shell.tsx";
import "./ui/style.css";

const pages: Record<string, () => preact.JSX.Element> = { "/": Overview, "/metrics-explorer": Metrics, "/logs": Logs, "/targets": Targets, "/status": Status };

function App() {
    const { path } = usePlace(), Page = pages[path];
    document.title = `${PAGES.find((p) => p.path === path)?.name ?? "Not found"} · Tripod`;
    return <Shell>{Page ? <Page key={path} /> : <Empty>There is no page at {path}.</Empty>}</Shell>;
}

setTheme(localStorage.getItem("theme") ?? "system");
render(<App />, document.getElementById("app")!);
