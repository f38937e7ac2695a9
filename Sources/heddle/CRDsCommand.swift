import ArgumentParser
import Foundation
import HeddleAPI

/// `heddle crds`: the definitions of Heddle's kinds, as YAML.
struct CRDsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "crds",
        abstract: "Print the definitions (CRDs) of Heddle's kinds, or write them to files.",
        discussion: """
            Prints one YAML stream for 'kubectl apply -f -', or writes one file a kind with --out. With --istio, the
            definitions of the Istio kinds that Heddle's own mesh reads, for clusters without Istio.
            """)

    @Option(help: ArgumentHelp("Write one file a kind into this directory.", valueName: "directory"))
    var out: String?

    @Flag(help: "The Istio kinds that Heddle's own mesh reads, in place of Heddle's.")
    var istio = false

    func run() async throws {
        let definitions = istio ? CustomResourceDefinition.istio : CustomResourceDefinition.heddle
        guard let out else {
            print(definitions.map(\.yaml).joined(separator: "---\n"), terminator: "")
            return
        }
        let directory = URL(fileURLWithPath: out, isDirectory: true)
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        for definition in definitions {
            let file = directory.appendingPathComponent(definition.fileName)
            try Data(definition.yaml.utf8).write(to: file, options: .atomic)
            print(file.path)
        }
    }
}
