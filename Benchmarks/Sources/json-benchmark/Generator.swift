import Glibc
import SyntheticCluster

/// Writes `pods.json` (a PodList), `events.jsonl` (a watch of as many events) and `canaries.json` (a list).
struct Generator {
    let directory: String
    private let count = 10_000

    init(directory: String) { self.directory = directory }

    func run() throws {
        try write("pods.json") { out in
            out(#"{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"123456789"},"items":["#)
            var pods = SyntheticPods()
            for index in 0..<count { out((index == 0 ? "" : ",") + pods.pod(index)) }
            out("]}\n")
        }
        try write("events.jsonl") { out in
            var pods = SyntheticPods(seed: 3)
            for index in 0..<count {
                out(
                    #"{"type":"MODIFIED","object":{"kind":"Pod","apiVersion":"v1","# + pods.pod(index).dropFirst()
                        + "}\n")
            }
        }
        try write("canaries.json") { out in
            out(#"{"apiVersion":"heddle.dev/v1alpha1","items":["#)
            var canaries = SyntheticCanaries()
            for index in 0..<count { out((index == 0 ? "" : ",") + canaries.canary(index)) }
            out(#"],"kind":"CanaryList","metadata":{"continue":"","resourceVersion":"123456789"}}"# + "\n")
        }
    }

    private func write(_ name: String, _ body: ((String) -> Void) -> Void) throws {
        guard let file = fopen("\(directory)/\(name)", "w") else { throw FileError(name: name) }
        body { text in
            var text = text
            text.withUTF8 { _ = fwrite($0.baseAddress, 1, $0.count, file) }
        }
        guard fclose(file) == 0 else { throw FileError(name: name) }
    }
}

struct FileError: Error {
    var name: String
}
