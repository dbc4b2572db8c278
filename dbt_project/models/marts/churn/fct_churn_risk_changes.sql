-- Customers whose churn risk became high, or is no longer high, against the night before: the changes of accepted
-- nights, and those of the nights being built. A change that comes with another model is told apart: the customer may
-- have done nothing. Customers no longer scored (lost) do not count.
with scores as (

    select * from {{ ref('fct_churn_scores') }}

),

as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

accepted as (

    select * from {{ source('state', 'churn_risks') }}

),

first_nights as (

    select min(as_of_date) as first_night
    from as_of_dates
    where kind <> 'baseline'

),

risks as (

    select
        scores.customer_id,
        scores.as_of_date,
        scores.model_version,
        scores.risk_class,
        scores.probability
    from scores
    inner join as_of_dates
        on
            scores.as_of_date = as_of_dates.as_of_date
            and as_of_dates.kind <> 'baseline'
    union all
    select
        accepted.customer_id,
        accepted.as_of_date,
        accepted.model_version,
        accepted.risk_class,
        cast(null as decimal(12, 10)) as probability
    from accepted
    inner join first_nights
        on accepted.as_of_date < first_nights.first_night

),

nights as (

    select
        as_of_date,
        lag(as_of_date) over (order by as_of_date) as night_before
    from (select distinct as_of_date from risks) as scored_nights

),

compared as (

    select
        today.customer_id,
        today.as_of_date,
        today.probability,
        today.risk_class,
        yesterday.risk_class as previous_class,
        case
            when today.risk_class = 'high' and coalesce(yesterday.risk_class, 'none') <> 'high' then 'newly_high'
            when today.risk_class <> 'high' and yesterday.risk_class = 'high' then 'no_longer_high'
        end as change,
        case
            when yesterday.model_version <> today.model_version or nights.night_before is null then 'model'
            else 'data'
        end as cause
    from risks as today
    inner join nights
        on today.as_of_date = nights.as_of_date
    left join risks as yesterday
        on
            today.customer_id = yesterday.customer_id
            and nights.night_before = yesterday.as_of_date
    where today.probability is not null

),

customers as (

    select * from {{ ref('int_customers') }}

),

accepted_changes as (

    select * from {{ source('state', 'churn_risk_changes') }}

)

select
    customer_id,
    as_of_date,
    customer_name,
    owner,
    change,
    cause,
    previous_class,
    risk_class,
    probability
from accepted_changes
union all
select
    compared.customer_id,
    compared.as_of_date,
    customers.customer_name,
    customers.owner_name as owner,
    compared.change,
    compared.cause,
    compared.previous_class,
    compared.risk_class,
    compared.probability
from compared
left join customers
    on compared.customer_id = customers.customer_id
where compared.change is not null
