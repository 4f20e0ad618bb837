// swift-tools-version:5.5
// Package.swift: the student for iOS and macOS: a C target and a wrapper.
// No Swift compiler has seen it yet; a test parses the C target's module with clang. `make swift` copies the C files to their places.
import PackageDescription

let package = Package(
    name: "Edgeemo",
    platforms: [.iOS(.v13), .macOS(.v10_15)],
    products: [.library(name: "Edgeemo", targets: ["Edgeemo"])],
    targets: [
        .target(name: "CEdgeemo"),
        .target(name: "Edgeemo", dependencies: ["CEdgeemo"]),
    ]
)
