# R's coxph() and coxph.fit() on the data of engine.py: microseconds a marker, wall and CPU, and the statistics of a few.
suppressMessages(library(survival))
data <- read.csv(commandArgs(TRUE)[1], check.names = FALSE)
markers <- grep("^m[0-9]+$", names(data))
covariates <- as.matrix(data[grep("^c[0-9]+$", names(data))])
arm <- data$arm
y <- Surv(data$time, data$event)
stratum <- if ("strata" %in% names(data)) data$strata else NULL
control <- coxph.control()
right <- paste(c("arm * m", if (ncol(covariates)) "covariates", if (!is.null(stratum)) "strata(stratum)"),
               collapse = " + ")
whole <- as.formula(paste("y ~", right))
design <- function(m) cbind(arm, m, covariates, arm * m)
cost <- function(fit) {
  start <- proc.time()
  for (j in markers) fit(data[[j]])
  passed <- proc.time() - start
  c(passed[["elapsed"]], sum(passed[1:2])) / length(markers) * 1e6
}
quick <- function(m) coxph.fit(design(m), y, stratum, NULL, NULL, control, NULL, "efron", rownames = NULL,
                               resid = FALSE)
slow <- function(m) { environment(whole) <- environment(); coxph(whole) }
cat(cost(slow), "\n")
cat(cost(quick), "\n")
cat(sapply(markers[1:5], function(j) tail(quick(data[[j]])$coefficients, 1)), "\n")
