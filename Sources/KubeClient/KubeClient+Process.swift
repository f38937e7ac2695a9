#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

extension KubeClient {
    /// The running program's file name, e.g. `heddle-operator`.
    package static var programName: String {
        CommandLine.arguments.first?.split(separator: "/").last.map(String.init) ?? "heddle"
    }

    /// Whether a person can be asked.
    package static var hasTerminal: Bool { isatty(STDIN_FILENO) == 1 }
}
