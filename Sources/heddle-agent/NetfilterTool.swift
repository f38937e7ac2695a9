/// Loads nftables scripts with the `nft` program.
enum NetfilterTool {
    /// What went wrong, and what to do.
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// Hands the script to `nft -f -`; nft applies all of it or nothing.
    static func load(_ script: String) async throws {
        guard let nft = ChildProcess.find("nft") else {
            throw Failure(description: "nft is not installed here; the image must contain nftables")
        }
        let result = try await ChildProcess.run(nft, ["-f", "-"], input: script)
        guard result.status != .exited(0) else { return }
        throw Failure(description: explanation(of: result.errors))
    }

    /// Turns nft's words into a sentence with a remedy.
    static func explanation(of errors: String) -> String {
        let text = errors.split(separator: "\n").prefix(5).joined(separator: "; ")
        if errors.contains("Operation not permitted") || errors.contains("Permission denied") {
            return "nft may not change the rules: run as root with the capability NET_ADMIN (nft said: \(text))"
        }
        if errors.contains("not supported") || errors.contains("No such file or directory") {
            return "the kernel lacks nftables NAT (modules nf_tables, nft_chain_nat, nft_redir) (nft said: \(text))"
        }
        return "nft refused the rules: \(text)"
    }
}
