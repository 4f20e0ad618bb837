plugins {
    id("com.android.application")
    id("org.jetbrains.kotlin.android")
}

android {
    namespace = "org.edgeemo.sample"
    compileSdk = 35
    defaultConfig {
        applicationId = "org.edgeemo.sample"
        minSdk = 24
        targetSdk = 35
        versionCode = 1
        versionName = "1"
    }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_1_8
        targetCompatibility = JavaVersion.VERSION_1_8
    }
    kotlinOptions { jvmTarget = "1.8" }
}

dependencies {
    implementation(files("libs/edgeemo-voice.aar"))
    implementation("org.jetbrains.kotlinx:kotlinx-coroutines-android:1.8.0")
}
