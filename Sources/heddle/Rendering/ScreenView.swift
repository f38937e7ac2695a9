/// A page of text made from values alone: no clock, no cluster, no terminal.
protocol ScreenView {
    /// At most `width` columns.
    func styledLines(width: Int) -> [StyledText]
}

extension ScreenView {
    /// The page as lines, with ANSI colours when asked for.
    func lines(colour: Bool = false, width: Int = 100) -> [String] {
        styledLines(width: width).map { $0.rendered(colour: colour) }
    }
}
