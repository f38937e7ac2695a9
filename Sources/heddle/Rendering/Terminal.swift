import Foundation

/// Where the pages go: a terminal, with colours and redrawing, or a plain stream of lines.
struct Terminal: Sendable {
    /// Escape sequences may be written: a page can replace the one before it.
    var isInteractive: Bool
    var usesColour: Bool
    var width: Int
    private let output: @Sendable (String) -> Void

    static let defaultWidth = 100

    /// Standard output. Colours are left out unless it is a terminal, with `TERM=dumb`, and where `NO_COLOR` is set to
    /// anything (no-color.org). `COLUMNS`, where the shell exports it, is the width.
    static func standard(environment: [String: String] = ProcessInfo.processInfo.environment) -> Terminal {
        Terminal(isTerminal: isatty(1) == 1, environment: environment)
    }

    /// - Parameter output: takes the text as it is to appear. Not `print`: a page must be out before the next wait, also
    ///   through a pipe.
    init(
        isTerminal: Bool, environment: [String: String],
        output: @escaping @Sendable (String) -> Void = { FileHandle.standardOutput.write(Data($0.utf8)) }
    ) {
        self.output = output
        isInteractive = isTerminal && environment["TERM"] != "dumb"
        usesColour = isInteractive && (environment["NO_COLOR"] ?? "").isEmpty
        let columns = environment["COLUMNS"].flatMap { Int($0) } ?? Self.defaultWidth
        width = min(max(columns, 60), 200)
    }

    func lines(of view: some ScreenView) -> [String] { view.lines(colour: usesColour, width: width) }

    func show(_ view: some ScreenView) { write(lines(of: view)) }

    /// Shows a page in place of the one before. Elsewhere than on a terminal, pages follow each other, with an empty line
    /// between them.
    func redraw(_ view: some ScreenView, isFirst: Bool) {
        let page = lines(of: view)
        guard isInteractive else { return write(isFirst ? page : [""] + page) }
        // Home, each line cleared behind its text, and then whatever was below: no flicker.
        let clear = "\u{1B}[K"
        let start = isFirst ? "\u{1B}[2J\u{1B}[H" : "\u{1B}[H"
        output(start + page.map { $0 + clear + "\n" }.joined() + "\u{1B}[J")
    }

    private func write(_ lines: [String]) { output(lines.map { $0 + "\n" }.joined()) }
}
