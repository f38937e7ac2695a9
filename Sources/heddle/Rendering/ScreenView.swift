/// A page of text made from values alone: no clock, no cluster, no terminal.
protocol ScreenView {
    /// At most `width` columns.
    func styledLines(width: Int) -> [StyledText]

    /// What a reader of a log wants to hear of: where pages cannot replace each other, a new one follows only when this
    /// has changed. Nil: at every change.
    var essence: String? { get }
}

extension ScreenView {
    var essence: String? { nil }

    /// The page as lines, with ANSI colours when asked for.
    func lines(colour: Bool = false, width: Int = 100) -> [String] {
        styledLines(width: width).map { $0.rendered(colour: colour) }
    }
}
