import SyntheticCluster

/// `generate DIR`: writes the data. `measure CASE FILE [RUNS]`: one case in a process of its own, so that its peak memory is
/// its own; prints tab-separated `case, milliseconds of processor time (median), megabytes a second, peak RSS MB, retained RSS MB, count`.
@main
struct Main {
    static func main() throws {
        let arguments = Array(CommandLine.arguments.dropFirst())
        switch arguments.first {
        case "generate" where arguments.count == 2: try Generator(directory: arguments[1]).run()
        case "measure" where arguments.count >= 3:
            guard let body = Cases.all[arguments[1]] else { fatalError("no such case: \(Cases.all.keys.sorted())") }
            let runs = arguments.count > 3 ? Int(arguments[3]) ?? 3 : 3
            try Measurement.run(arguments[1], file: arguments[2], runs: runs, body)
        default: fatalError("generate DIR | measure CASE FILE [RUNS]")
        }
    }
}
