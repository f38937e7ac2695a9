import ArgumentParser
import AsyncHTTPClient

@main
struct Heddle: AsyncParsableCommand {
    func run() async throws {}
}
