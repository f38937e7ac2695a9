import ArgumentParser
import AsyncHTTPClient

@main
struct HeddleOperator: AsyncParsableCommand {
    func run() async throws {}
}
