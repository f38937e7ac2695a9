import Foundation

/// What the demo says: headings, lines as they happen, and one line that is drawn anew while something is waited for.
final class Narrator: Sendable {
    private let isTerminal = isatty(1) == 1
    private let usesColour = isatty(1) == 1 && ProcessInfo.processInfo.environment["NO_COLOR"] == nil
    private let start = ContinuousClock.now

    func heading(_ text: String) {
        clear()
        write(
            "\n" + paint("1", "== \(text) ") + paint("2", String(repeating: "=", count: max(3, 92 - text.count))) + "\n"
        )
    }

    func say(_ text: String) {
        clear()
        write(text + "\n")
    }

    /// A line with the time since the start.
    func step(_ text: String) {
        let seconds = Int((ContinuousClock.now - start).components.seconds)
        say(paint("2", String(repeating: " ", count: max(0, 4 - "\(seconds)".count)) + "\(seconds) s") + "  " + text)
    }

    func good(_ text: String) { step(paint("32", "ok ") + text) }

    func fail(_ text: String) { step(paint("31", "FAILED ") + text) }

    /// Shown on a terminal only, and replaced by what comes next.
    func waiting(_ text: String) {
        guard isTerminal else { return }
        write("\r\u{1B}[K        " + paint("2", String(text.prefix(110))))
    }

    func paint(_ code: String, _ text: String) -> String { usesColour ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text }

    private func clear() {
        if isTerminal { write("\r\u{1B}[K") }
    }

    private func write(_ text: String) { FileHandle.standardOutput.write(Data(text.utf8)) }
}
